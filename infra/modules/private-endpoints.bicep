// Private endpoints of a storage account, with their names in the network's private zones.
param location string
param tags object
param accountId string
param accountName string
param subnetId string
param services array

resource endpoint 'Microsoft.Network/privateEndpoints@2023-11-01' = [for service in services: {
  name: 'pe-${accountName}-${service}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: service
        properties: { privateLinkServiceId: accountId, groupIds: [service] }
      }
    ]
  }
}]

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2023-11-01' = [for (service, index) in services: {
  parent: endpoint[index]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: service
        properties: {
          privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', 'privatelink.${service}.${environment().suffixes.storage}')
        }
      }
    ]
  }
}]
